"""From videos to a plan: their order, and a forecast of time and cost."""
