"""The domain: places, rules, plans, people and incidents, with no web framework in sight."""
