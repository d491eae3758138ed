"""Joblet: untrusted and heavy commands on a Linux host, natively on systemd."""
