"""What instructors run: grade a class, results, the doctor, the demo."""
