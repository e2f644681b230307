"""Partitions, application images and the SPIFFS file system."""
