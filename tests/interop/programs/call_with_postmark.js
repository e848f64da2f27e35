// Calls Postmark's API with its own library: node call_with_postmark.js HOST TOKEN CALL [DOCUMENT]. CALL is email,
// template, batch, template_batch, server, bounces, bounce, dump, activate or statistics; HOST may have a path behind it.
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
  bounces: () => client.getBounces(document),
  bounce: () => client.getBounce(document.id),
  dump: () => client.getBounceDump(document.id),
  activate: () => client.activateBounce(document.id),
  statistics: () => client.getDeliveryStatistics(),
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
