"""Where a corpus job runs that one machine does not hold: the kernels and every decision are those of the local job."""
