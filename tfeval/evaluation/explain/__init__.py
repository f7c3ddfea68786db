"""Which departures give the numbers or answers of somebody else."""
