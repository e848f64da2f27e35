// Calls Postmark's API with its own library: node call_with_postmark.js HOST TOKEN CALL [DOCUMENT], where the call is
// email, template, batch, template_batch or server.
// Prints the answer as JSON, or {"error": class, "code", "status", "recipients"}.
const postmark = require("postmark");

const [host, token, call, text] = process.argv.slice(2);
const client = new postmark.ServerClient(token, { useHttps: false, requestHost: host, timeout: 20 });
const document = JSON.parse(text || "{}");
const calls = {
  email: () => client.sendEmail(document),
  template: () => client.sendEmailWithTemplate(document),
  batch: () => client.sendEmailBatch(document),
  template_batch: () => client.sendEmailBatchWithTemplates(document),
  server: () => client.getServer(),
};

calls[call]()
  .then((answer) => console.log(JSON.stringify(answer)))
  .catch((error) =>
    console.log(
      JSON.stringify({
        error: error.constructor.name,
        code: error.code,
        status: error.statusCode,
        recipients: error.recipients,
      }),
    ),
  );
