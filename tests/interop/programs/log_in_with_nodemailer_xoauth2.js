// Sends one message after a login by XOAUTH2 with Nodemailer; the settings are in MAIL_* of the environment.
"use strict";

const fs = require("node:fs");
const nodemailer = require("nodemailer");

const settings = process.env;

const transport = nodemailer.createTransport({
  host: settings.MAIL_HOST,
  port: Number(settings.MAIL_PORT),
  requireTLS: true,
  auth: { type: "OAuth2", user: settings.MAIL_USER, accessToken: settings.MAIL_PASSWORD },
  tls: { ca: fs.readFileSync(settings.MAIL_CA) },
});

const message = { from: settings.MAIL_FROM, to: "ann@customer.example", subject: "Hello", text: "Hello" };

transport.sendMail(message).catch((error) => {
  console.error(`${error.code} ${error.responseCode}: ${error.message}`);
  process.exitCode = 1;
});
