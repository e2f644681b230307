"""What orders devices: the control API, its document, metrics, scenarios."""
