"""What an incident reads like: facts in, the text of an issue or a message out; nothing is sent from here."""
