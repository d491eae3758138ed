"""What the steps of one set-up share: descriptors, and what the last step will execute."""

from __future__ import annotations


class Setup:
    """State of one first process while it runs its plan. Lives until execve."""

    __slots__ = (
        "after_gate",
        "command",
        "environment",
        "gate_fd",
        "oom_score_fd",
        "report_fd",
        "root_fd",
        "status_fd",
        "stderr_fd",
        "stdout_fd",
        "with_init",
        "work_fd",
    )

    def __init__(
        self, *, stdout_fd: int, stderr_fd: int, work_fd: int, gate_fd: int, report_fd: int
    ) -> None:
        self.stdout_fd = stdout_fd
        self.stderr_fd = stderr_fd
        self.work_fd = work_fd
        self.gate_fd = gate_fd
        self.report_fd = report_fd
        self.root_fd = -1
        # of the host's procfs, opened while the host's root is still the root
        self.oom_score_fd = -1
        self.status_fd = -1
        self.environment: list[bytes] = []
        self.with_init = False
        self.after_gate = b""  # what the fail-point after the gate is armed with
