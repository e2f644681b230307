"""The AxeOS dialect: payloads and their mapping."""
