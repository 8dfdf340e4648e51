"""Plans on paper: an atlas of one page a grid, notice boards, the plan's report; as PDF with its letters in it."""
