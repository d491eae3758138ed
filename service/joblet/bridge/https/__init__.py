"""HTTPS beside gRPC: jobs as JSON, logs as Server-Sent Events; same certificates, same roles."""
