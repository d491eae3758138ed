"""joblet-init, the helper that systemd runs through ExecStart: a zygote that forks per job."""
