"""What surrounds the chip: power, heat, fan and radio."""
