"""The state of a host as the messages of MonitoringService. Pure.

Old clients reach into the groups without looking whether they are there: every group is always
there, also one that was not asked for, and load has always its three values.
"""

from __future__ import annotations

from joblet.model import host as model
from joblet.model.host import HostStatus, ProcessInfo
from joblet.rpc.mapping import instant
from joblet.rpc.pb import joblet_pb2 as pb

COMPONENT = "joblet"
_INT32_MAX = (1 << 31) - 1
_INT64_MAX = (1 << 63) - 1


def status(found: HostStatus) -> pb.SystemStatusResponse:
    """The answer to GetSystemStatus."""
    return pb.SystemStatusResponse(
        timestamp=instant(found.time_usec),
        available=True,
        host=_host(found),
        cpu=_cpu(found),
        memory=_memory(found),
        disks=_disks(found),
        networks=_networks(found),
        io=_io(found),
        processes=_processes(found),
        cloud=_cloud(found),
        server_version=pb.ServerVersionInfo(
            version=found.server.version,
            component=COMPONENT,
            go_version=f"Python {found.server.python_version}",
            platform=found.server.platform,
        ),
    )


def metrics(found: HostStatus) -> pb.SystemMetricsResponse:
    """One answer of StreamSystemMetrics."""
    return pb.SystemMetricsResponse(
        timestamp=instant(found.time_usec),
        host=_host(found),
        cpu=_cpu(found),
        memory=_memory(found),
        disks=_disks(found),
        networks=_networks(found),
        io=_io(found),
        processes=_processes(found),
        cloud=_cloud(found),
    )


def _count(value: int | None) -> int:
    return min(value or 0, _INT64_MAX)


def _host(found: HostStatus) -> pb.HostInfo:
    host = found.host
    return pb.HostInfo(
        hostname=host.hostname,
        os=host.os,
        platform=host.platform,
        platform_family=host.platform_family,
        platform_version=host.platform_version,
        kernel_version=host.kernel_version,
        kernel_arch=host.architecture,
        architecture=host.architecture,
        cpu_count=host.cpus,
        total_memory=host.memory_bytes,
        boot_time=instant(host.boot_usec),
        uptime=host.uptime_s,
        node_id=host.node_id,
        server_ips=host.addresses,
        mac_addresses=host.mac_addresses,
    )


def _cpu(found: HostStatus) -> pb.CPUMetrics:
    cpu = found.cpu
    if cpu is None:
        return pb.CPUMetrics(load_average=(0, 0, 0))
    return pb.CPUMetrics(
        cores=cpu.cores,
        usage_percent=cpu.usage_percent or 0,
        user_time=cpu.user_percent or 0,
        system_time=cpu.system_percent or 0,
        idle_time=cpu.idle_percent or 0,
        io_wait_time=cpu.iowait_percent or 0,
        steal_time=cpu.steal_percent or 0,
        load_average=cpu.load,
        per_core_usage=cpu.per_core_percent or (),
    )


def _memory(found: HostStatus) -> pb.MemoryMetrics:
    memory = found.memory
    if memory is None:
        return pb.MemoryMetrics()
    return pb.MemoryMetrics(
        total_bytes=memory.total_bytes,
        used_bytes=memory.used_bytes,
        free_bytes=memory.free_bytes,
        available_bytes=memory.available_bytes,
        usage_percent=memory.usage_percent,
        cached_bytes=memory.cached_bytes,
        buffered_bytes=memory.buffered_bytes,
        swap_total=memory.swap_total_bytes,
        swap_used=memory.swap_used_bytes,
        swap_free=memory.swap_free_bytes,
    )


def _disks(found: HostStatus) -> list[pb.DiskMetrics]:
    return [
        pb.DiskMetrics(
            device=disk.device,
            mount_point=disk.mount_point,
            filesystem=disk.filesystem,
            total_bytes=_count(disk.total_bytes),
            used_bytes=_count(disk.used_bytes),
            free_bytes=_count(disk.free_bytes),
            usage_percent=disk.usage_percent or 0,
            inodes_total=_count(disk.inodes_total),
            inodes_used=_count(disk.inodes_used),
            inodes_free=_count(disk.inodes_free),
            inodes_usage_percent=disk.inodes_usage_percent or 0,
        )
        for disk in found.disks or ()
        # A row of zeros would be an empty disk.
        if disk.total_bytes is not None
    ]


def _networks(found: HostStatus) -> list[pb.NetworkMetrics]:
    return [
        pb.NetworkMetrics(
            interface=one.interface,
            bytes_received=_count(one.received_bytes),
            bytes_sent=_count(one.sent_bytes),
            packets_received=_count(one.received_packets),
            packets_sent=_count(one.sent_packets),
            errors_in=_count(one.receive_errors),
            errors_out=_count(one.send_errors),
            drops_in=_count(one.receive_drops),
            drops_out=_count(one.send_drops),
            receive_rate=one.received_bytes_per_s or 0,
            transmit_rate=one.sent_bytes_per_s or 0,
            ip_addresses=one.addresses,
            mac_address=one.mac_address or "",
        )
        for one in found.networks or ()
    ]


def _io(found: HostStatus) -> pb.IOMetrics:
    io = found.io
    if io is None:
        return pb.IOMetrics()
    return pb.IOMetrics(
        total_reads=_count(io.reads),
        total_writes=_count(io.writes),
        read_bytes=_count(io.read_bytes),
        write_bytes=_count(io.write_bytes),
        read_rate=io.read_bytes_per_s or 0,
        write_rate=io.write_bytes_per_s or 0,
        disk_io=[
            pb.DiskIOMetrics(
                device=disk.device,
                reads_completed=_count(disk.reads),
                writes_completed=_count(disk.writes),
                read_bytes=_count(disk.read_bytes),
                write_bytes=_count(disk.write_bytes),
                read_time=_count(disk.read_time_ms),
                write_time=_count(disk.write_time_ms),
                io_time=_count(disk.busy_ms),
                utilization=disk.busy_percent or 0,
            )
            for disk in io.disks
        ],
    )


def _processes(found: HostStatus) -> pb.ProcessMetrics:
    processes = found.processes
    if processes is None:
        return pb.ProcessMetrics()
    return pb.ProcessMetrics(
        total_processes=processes.total,
        running_processes=processes.running,
        sleeping_processes=processes.sleeping,
        stopped_processes=processes.stopped,
        zombie_processes=processes.zombie,
        total_threads=min(processes.threads, _INT32_MAX),
        top_by_cpu=map(_process, processes.top_by_cpu),
        top_by_memory=map(_process, processes.top_by_memory),
    )


def _process(process: ProcessInfo) -> pb.ProcessInfo:
    return pb.ProcessInfo(
        pid=process.pid,
        ppid=process.ppid,
        name=process.name,
        command=process.command or "",
        cpu_percent=process.cpu_percent or 0,
        memory_percent=process.memory_percent,
        memory_bytes=process.memory_bytes,
        status=process.status,
        start_time=instant(process.started_usec),
        user=process.user or "",
    )


def _cloud(found: HostStatus) -> pb.CloudInfo:
    cloud = found.cloud or model.CloudInfo(provider="")
    return pb.CloudInfo(
        provider=cloud.provider,
        region=cloud.region,
        zone=cloud.zone,
        instance_id=cloud.instance_id,
        instance_type=cloud.instance_type,
        hypervisor_type=cloud.hypervisor,
    )
