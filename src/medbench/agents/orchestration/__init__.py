"""The reference agent: triage, plan, gather, draft, critique, revise, guard, answer. A small loop of our own."""
