"""What the device's little screen shows, as text and as a picture."""
