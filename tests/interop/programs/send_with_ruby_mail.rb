# frozen_string_literal: true

# Sends one message with Ruby Mail; the settings are in MAIL_* of the environment.

require 'json'
require 'mail'

PARTS = ENV.fetch('MAIL_PARTS')
implicit = ENV.fetch('MAIL_TLS') == 'implicit'

Mail.defaults do
  delivery_method :smtp,
                  address: ENV.fetch('MAIL_HOST'), port: ENV.fetch('MAIL_PORT').to_i, domain: 'shop.example',
                  user_name: ENV.fetch('MAIL_USER'), password: ENV.fetch('MAIL_PASSWORD'), authentication: 'plain',
                  tls: implicit, enable_starttls: !implicit, openssl_verify_mode: 'peer', ca_file: ENV.fetch('MAIL_CA')
end

def read(name)
  File.read(File.join(PARTS, name), encoding: 'UTF-8')
end

message = Mail.new(charset: 'UTF-8')
message.from = %("Jörg Müller" <#{ENV.fetch('MAIL_FROM')}>)
message.to = ['"Customer, Ann" <ann@customer.example>', 'info@shop.example']
message.cc = 'Office <office@customer.example>'
message.bcc = 'audit@shop.example'
message.reply_to = 'Help Desk <help@shop.example>'
message.in_reply_to = '<order-7781@shop.example>'
message.references = ['<cart-77@shop.example>', '<order-7781@shop.example>']
message.subject = 'Rechnung März, Übersicht, 1250 €'
message.header['X-Shop-Campaign'] = 'spring-2026'
message.header['X-Postscale-Tags'] = 'invoice, march'
message.header['X-Postscale-Metadata'] = JSON.generate({ order_id: '7781', city: 'Zürich' })
message.text_part = Mail::Part.new(content_type: 'text/plain; charset=UTF-8', body: read('text.txt'))
html = read('page.html').sub('</body>', %(<img src="cid:logo@shop">\n</body>))
message.html_part = Mail::Part.new(content_type: 'text/html; charset=UTF-8', body: html)
message.attachments.inline['logo.png'] = {
  content: File.binread(File.join(PARTS, 'logo.png')), content_id: '<logo@shop>'
}
message.attachments['Übersicht März.pdf'] = File.binread(File.join(PARTS, 'overview.pdf'))
message.attachments['notes.txt'] = read('notes.txt')

begin
  message.deliver!
rescue Net::SMTPError => e
  warn "#{e.class}: #{e.message}"
  exit 1
end
