"""Work, limits and the ledger. Knows tasks only by their kind; `runs` brings the handlers."""
