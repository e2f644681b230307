"""Real chips and boards, and what stands in for them."""
