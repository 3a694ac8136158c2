"""From a plan to results: the thread pool, the steps of one video, and when to look at a job."""
