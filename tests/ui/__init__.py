"""What the pages show, in Chromium."""
