<?php
// Sends one message with PHPMailer; the settings are in MAIL_* of the environment.

use PHPMailer\PHPMailer\Exception;
use PHPMailer\PHPMailer\PHPMailer;
use PHPMailer\PHPMailer\SMTP;

require 'libphp-phpmailer/autoload.php';

$parts = getenv('MAIL_PARTS');
$mail = new PHPMailer(true);
$mail->isSMTP();
$mail->Host = getenv('MAIL_HOST');
$mail->Port = (int) getenv('MAIL_PORT');
$mail->SMTPAuth = true;
$mail->Username = getenv('MAIL_USER');
$mail->Password = getenv('MAIL_PASSWORD');
$mail->SMTPSecure = getenv('MAIL_TLS') === 'implicit' ? PHPMailer::ENCRYPTION_SMTPS : PHPMailer::ENCRYPTION_STARTTLS;
$mail->SMTPOptions = ['ssl' => ['cafile' => getenv('MAIL_CA')]];
$mail->CharSet = PHPMailer::CHARSET_UTF8;
// A refused login is only told in the debug output: PHPMailer says QUIT and so forgets the reply.
$mail->SMTPDebug = SMTP::DEBUG_CLIENT;
$mail->Debugoutput = function ($line) {
    if (strpos($line, 'SMTP ERROR') === 0) {
        fwrite(STDERR, trim($line) . "\n");
    }
};

try {
    $mail->setFrom(getenv('MAIL_FROM'), 'Jörg Müller');
    $mail->addAddress('ann@customer.example', 'Customer, Ann');
    $mail->addAddress('info@shop.example');
    $mail->addCC('office@customer.example', 'Office');
    $mail->addBCC('audit@shop.example');
    $mail->addReplyTo('help@shop.example', 'Help Desk');
    $mail->Subject = 'Rechnung März, Übersicht, 1250 €';
    $mail->addCustomHeader('In-Reply-To', '<order-7781@shop.example>');
    $mail->addCustomHeader('References', '<cart-77@shop.example> <order-7781@shop.example>');
    $mail->addCustomHeader('X-Shop-Campaign', 'spring-2026');
    $mail->addCustomHeader('X-Postscale-Tags', 'invoice, march');
    $metadata = ['order_id' => '7781', 'city' => 'Zürich'];
    $mail->addCustomHeader('X-Postscale-Metadata', json_encode($metadata, JSON_UNESCAPED_UNICODE));
    $mail->isHTML(true);
    $html = file_get_contents("$parts/page.html");
    $mail->Body = str_replace('</body>', "<img src=\"cid:logo@shop\">\n</body>", $html);
    $mail->AltBody = file_get_contents("$parts/text.txt");
    $mail->addEmbeddedImage("$parts/logo.png", 'logo@shop', 'logo.png');
    $mail->addAttachment("$parts/overview.pdf", 'Übersicht März.pdf');
    $mail->addAttachment("$parts/notes.txt", 'notes.txt');
    $mail->send();
} catch (Exception $error) {
    fwrite(STDERR, $mail->ErrorInfo . "\n");
    exit(1);
}
