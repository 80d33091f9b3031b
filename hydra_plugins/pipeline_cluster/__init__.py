"""The launchers that let a cluster train a sweep's runs, a job for each group."""
