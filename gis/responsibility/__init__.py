"""Who answers for a place, in memory: the cells in force as an exact index, and the people of each."""
