"""A closed loop for a risk register: run each mitigation, measure whether it works, tell its owner."""
