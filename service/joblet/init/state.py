"""What the steps of one set-up share: descriptors, and what the last step will execute."""

from __future__ import annotations


class Setup:
    """State of one first process while it runs its plan. Lives until execve."""

    __slots__ = (
        "after_gate",
        "blank_fd",
        "cgroup_fd",
        "command",
        "environment",
        "gate_fd",
        "oom_score_fd",
        "report_fd",
        "root_fd",
        "status_fd",
        "stderr_fd",
        "stdout_fd",
        "trees",
        "with_init",
        "work_fd",
    )

    def __init__(self, *, report_fd: int) -> None:
        self.report_fd = report_fd
        # these come with the job
        self.stdout_fd = -1
        self.stderr_fd = -1
        self.work_fd = -1
        self.gate_fd = -1
        self.root_fd = -1
        # copies of mounts of the host that the job will see, in the order of their steps
        self.trees: list[int] = []
        # of the host's file systems, opened while the host's root is still the root
        self.oom_score_fd = -1
        self.status_fd = -1
        self.cgroup_fd = -1
        self.blank_fd = -1
        self.environment: list[bytes] = []
        self.with_init = False
        self.after_gate = b""  # what the fail-point after the gate is armed with
