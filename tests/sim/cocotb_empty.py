"""cocotb half of test_cocotb_runner.py: a module without any test."""
