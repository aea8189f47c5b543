"""What serves Sfumato to others than the command line: the studio, and what lies beneath it."""
