// Sends one message with Go's net/smtp; the settings are in MAIL_* of the environment.
// net/smtp has no message builder, so the multipart message is written with the standard library's parts.
package main

import (
	"bytes"
	"crypto/tls"
	"encoding/base64"
	"fmt"
	"io"
	"log"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net/smtp"
	"net/textproto"
	"os"
	"path/filepath"
	"strings"
)

var recipients = []string{"ann@customer.example", "info@shop.example", "office@customer.example", "audit@shop.example"}

func read(name string) []byte {
	content, err := os.ReadFile(filepath.Join(os.Getenv("MAIL_PARTS"), name))
	check(err)
	return content
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

// crlf gives text the line breaks of a message (RFC 5322 section 2.1).
func crlf(text []byte) []byte {
	return bytes.ReplaceAll(text, []byte("\n"), []byte("\r\n"))
}

func headerSection(boundary string) string {
	encode := func(text string) string { return mime.QEncoding.Encode("utf-8", text) }
	return strings.Join([]string{
		fmt.Sprintf("From: %s <%s>", encode("Jörg Müller"), os.Getenv("MAIL_FROM")),
		`To: "Customer, Ann" <ann@customer.example>, info@shop.example`,
		"Cc: Office <office@customer.example>",
		"Subject: " + encode("Rechnung März, Übersicht, 1250 €"),
		"Reply-To: Help Desk <help@shop.example>",
		"In-Reply-To: <order-7781@shop.example>",
		"References: <cart-77@shop.example> <order-7781@shop.example>",
		"X-Shop-Campaign: spring-2026",
		"X-Postscale-Tags: invoice, march",
		"X-Postscale-Metadata-order_id: 7781",
		"X-Postscale-Metadata-city: " + encode("Zürich"),
		"MIME-Version: 1.0",
		"Content-Type: multipart/mixed; boundary=" + boundary,
		"\r\n",
	}, "\r\n")
}

func addText(to *multipart.Writer, contentType string, text []byte) {
	part, err := to.CreatePart(textproto.MIMEHeader{
		"Content-Type":              {contentType + "; charset=utf-8"},
		"Content-Transfer-Encoding": {"quoted-printable"},
	})
	check(err)
	writer := quotedprintable.NewWriter(part)
	_, err = writer.Write(crlf(text))
	check(err)
	check(writer.Close())
}

func addFile(to *multipart.Writer, contentType, disposition, filename, contentID string, content []byte) {
	header := textproto.MIMEHeader{
		"Content-Type":              {contentType},
		"Content-Transfer-Encoding": {"base64"},
		"Content-Disposition":       {mime.FormatMediaType(disposition, map[string]string{"filename": filename})},
	}
	if contentID != "" {
		header.Set("Content-ID", contentID)
	}
	part, err := to.CreatePart(header)
	check(err)
	for encoded := base64.StdEncoding.EncodeToString(content); encoded != ""; {
		length := len(encoded)
		if length > 76 {
			length = 76
		}
		_, err = io.WriteString(part, encoded[:length]+"\r\n")
		check(err)
		encoded = encoded[length:]
	}
}

// nested opens a multipart body inside another one.
func nested(in *multipart.Writer, contentType string) *multipart.Writer {
	boundary := multipart.NewWriter(io.Discard).Boundary()
	part, err := in.CreatePart(textproto.MIMEHeader{"Content-Type": {contentType + "; boundary=" + boundary}})
	check(err)
	writer := multipart.NewWriter(part)
	check(writer.SetBoundary(boundary))
	return writer
}

func message() []byte {
	var body bytes.Buffer
	mixed := multipart.NewWriter(&body)
	alternative := nested(mixed, "multipart/alternative")
	addText(alternative, "text/plain", read("text.txt"))
	related := nested(alternative, "multipart/related")
	image := []byte("<img src=\"cid:logo@shop\">\n</body>")
	addText(related, "text/html", bytes.Replace(read("page.html"), []byte("</body>"), image, 1))
	addFile(related, "image/png", "inline", "logo.png", "<logo@shop>", read("logo.png"))
	check(related.Close())
	check(alternative.Close())
	addFile(mixed, "application/pdf", "attachment", "Übersicht März.pdf", "", read("overview.pdf"))
	addFile(mixed, "text/plain", "attachment", "notes.txt", "", read("notes.txt"))
	check(mixed.Close())
	return append([]byte(headerSection(mixed.Boundary())), body.Bytes()...)
}

// sendImplicit does what smtp.SendMail does, over a connection that is TLS from its first octet.
func sendImplicit(address, host string, auth smtp.Auth) {
	connection, err := tls.Dial("tcp", address, &tls.Config{ServerName: host})
	check(err)
	client, err := smtp.NewClient(connection, host)
	check(err)
	check(client.Auth(auth))
	check(client.Mail(os.Getenv("MAIL_FROM")))
	for _, recipient := range recipients {
		check(client.Rcpt(recipient))
	}
	data, err := client.Data()
	check(err)
	_, err = data.Write(message())
	check(err)
	check(data.Close())
	check(client.Quit())
}

func main() {
	log.SetFlags(0)
	host := os.Getenv("MAIL_HOST")
	address := host + ":" + os.Getenv("MAIL_PORT")
	check(os.Setenv("SSL_CERT_FILE", os.Getenv("MAIL_CA"))) // smtp.SendMail takes no tls.Config
	auth := smtp.PlainAuth("", os.Getenv("MAIL_USER"), os.Getenv("MAIL_PASSWORD"), host)
	if os.Getenv("MAIL_TLS") == "implicit" {
		sendImplicit(address, host, auth)
		return
	}
	check(smtp.SendMail(address, auth, os.Getenv("MAIL_FROM"), recipients, message()))
}
