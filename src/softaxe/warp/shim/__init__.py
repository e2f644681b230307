"""What a program finds first on its PYTHONPATH, to live in a fleet's time."""
