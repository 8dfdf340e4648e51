"""The planner's desk, pure: a plan as ground, parts and cells, and what edits make of them. No database, no web."""
