"""The exchanges of the SASL mechanisms, a generator each; gateway.smtp.sasl is their table."""
