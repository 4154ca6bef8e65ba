"""What is known of models: prices, context windows, token estimates. Only advice: any model name is accepted."""
