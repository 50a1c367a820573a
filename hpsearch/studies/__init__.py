"""A study: the plan is fixed, every arm is searched and confirmed, the planned test decides."""
