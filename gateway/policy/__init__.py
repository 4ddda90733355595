"""Who may do what: rules bound to an identity, decisions, and why."""
