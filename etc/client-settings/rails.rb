# Ruby on Rails: lines for config/environments/production.rb, inside Rails.application.configure do ... end.

config.action_mailer.delivery_method = :smtp
config.action_mailer.raise_delivery_errors = true
config.action_mailer.smtp_settings = {
  address: 'smtp-gateway.example',
  port: 587,
  enable_starttls: true, # an error when there is no TLS; for port 465 instead of this line: tls: true
  user_name: 'postscale',
  password: ENV.fetch('POSTSCALE_KEY'), # ps_live_...
  authentication: :plain,
  open_timeout: 30,
  read_timeout: 120 # seconds; newer versions of Mail give up after 5, which is less than a slow vendor may take
}

# The default From of app/mailers/application_mailer.rb is from@example.com: set it to an address at a domain that is
# verified at the vendor. Tags and metadata, per message:
#   mail to: ..., 'X-Postscale-Tags' => 'invoice, march', 'X-Postscale-Metadata' => { order_id: '7781' }.to_json
