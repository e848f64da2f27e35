// Sends one message with Nodemailer; the settings are in MAIL_* of the environment.
"use strict";

const fs = require("node:fs");
const path = require("node:path");
const nodemailer = require("nodemailer");

const settings = process.env;
const part = (name) => path.join(settings.MAIL_PARTS, name);
const image = '<img src="cid:logo@shop">\n</body>';

const transport = nodemailer.createTransport({
  host: settings.MAIL_HOST,
  port: Number(settings.MAIL_PORT),
  secure: settings.MAIL_TLS === "implicit",
  requireTLS: settings.MAIL_TLS === "starttls",
  auth: { user: settings.MAIL_USER, pass: settings.MAIL_PASSWORD },
  tls: { ca: fs.readFileSync(settings.MAIL_CA) },
});

const message = {
  from: { name: "Jörg Müller", address: settings.MAIL_FROM },
  to: [{ name: "Customer, Ann", address: "ann@customer.example" }, "info@shop.example"],
  cc: "Office <office@customer.example>",
  bcc: "audit@shop.example",
  replyTo: "Help Desk <help@shop.example>",
  inReplyTo: "<order-7781@shop.example>",
  references: ["<cart-77@shop.example>", "<order-7781@shop.example>"],
  subject: "Rechnung März, Übersicht, 1250 €",
  text: fs.readFileSync(part("text.txt"), "utf8"),
  html: fs.readFileSync(part("page.html"), "utf8").replace("</body>", image),
  headers: {
    "X-Shop-Campaign": "spring-2026",
    "X-Postscale-Tags": "invoice, march",
    "X-Postscale-Metadata": JSON.stringify({ order_id: "7781", city: "Zürich" }),
  },
  attachments: [
    { filename: "Übersicht März.pdf", path: part("overview.pdf"), contentType: "application/pdf" },
    { filename: "notes.txt", path: part("notes.txt"), contentType: "text/plain" },
    { filename: "logo.png", path: part("logo.png"), cid: "logo@shop" },
  ],
};

transport.sendMail(message).catch((error) => {
  console.error(`${error.code} ${error.responseCode}: ${error.message}`);
  process.exitCode = 1;
});
