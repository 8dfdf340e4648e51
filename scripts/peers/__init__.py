"""Other engines on our instances, run by an interpreter of their own: nothing here imports anything of Wangge."""
