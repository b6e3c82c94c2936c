"""(Workload, Placement) to Prediction: what a run will cost, with an interval."""
