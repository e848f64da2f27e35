"""What "mailgateway check" looks at beyond the settings themselves: this machine, the vendors, and the DNS."""
