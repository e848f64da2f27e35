<?php
/*
 * WordPress. Choose one of the two ways.
 *
 * 1. The plugin WP Mail SMTP. In Settings > General:
 *
 *      From Email               an address at the domain that is verified at the vendor; Force From Email: on
 *      Mailer                   Other SMTP
 *      SMTP Host                smtp-gateway.example
 *      Encryption               TLS (this is STARTTLS)     or  SSL (this is implicit TLS)
 *      SMTP Port                587                        or  465
 *      Auto TLS                 on
 *      Authentication           on
 *      SMTP Username            postscale
 *      SMTP Password            ps_live_...
 *
 *    Or the same as constants, in wp-config.php above "That's all, stop editing!", which keeps the key out of the
 *    database and hides it in the form:
 */
define( 'WPMS_ON', true );
define( 'WPMS_MAILER', 'smtp' );
define( 'WPMS_MAIL_FROM', 'shop@example.com' );
define( 'WPMS_MAIL_FROM_FORCE', true );
define( 'WPMS_SMTP_HOST', 'smtp-gateway.example' );
define( 'WPMS_SMTP_PORT', 587 );
define( 'WPMS_SSL', 'tls' ); // 'tls' is STARTTLS; 'ssl' with port 465 is implicit TLS
define( 'WPMS_SMTP_AUTOTLS', true );
define( 'WPMS_SMTP_AUTH', true );
define( 'WPMS_SMTP_USER', 'postscale' );
define( 'WPMS_SMTP_PASS', 'ps_live_...' );

/*
 * 2. Without a plugin. The constant in wp-config.php, the rest as a file of its own in wp-content/mu-plugins/
 *    (that folder's files are loaded by themselves):
 */
define( 'MAIL_GATEWAY_KEY', 'ps_live_...' );

add_action( 'phpmailer_init', function ( $mail ) {
	$mail->isSMTP();
	$mail->Host       = 'smtp-gateway.example';
	$mail->Port       = 587;
	$mail->SMTPSecure = 'tls'; // STARTTLS, and an error without it; 'ssl' with port 465 is implicit TLS
	$mail->SMTPAuth   = true;
	$mail->Username   = 'postscale';
	$mail->Password   = MAIL_GATEWAY_KEY;
} );

// WordPress sends as wordpress@<the site's host name>, which is rarely a verified domain.
add_filter( 'wp_mail_from', fn () => 'shop@example.com' );
