"""Driver processes: what talks to hardware or to a simulator."""
