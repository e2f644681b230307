"""What any miner must know: headers, difficulty and the nonce search."""
