"""How it runs: the embedded launcher, its server, and the automations."""
