"""What is told of a message after it was accepted: DSNs, webhooks, and bounce records as a dialect has them."""
