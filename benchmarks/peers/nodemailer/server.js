// A peer: Nodemailer's smtp-server and mailparser, and node's own HTTP client with keep-alive.
// Usage: node server.js PORT CERTIFICATE PRIVATE_KEY API, with NODE_PATH at the folder the packages are in.
'use strict'

const fs = require('node:fs')
const http = require('node:http')
const { SMTPServer } = require('smtp-server')
const { simpleParser } = require('mailparser')

const [port, certificate, privateKey, api] = process.argv.slice(2)
const agent = new http.Agent({ keepAlive: true, maxFreeSockets: 100 })

function post (document, callback) {
  const body = JSON.stringify(document)
  const headers = {
    Authorization: 'Bearer ps_test_benchmark',
    'Content-Type': 'application/json',
    'Content-Length': Buffer.byteLength(body)
  }
  const request = http.request(`${api}/send`, { method: 'POST', agent, headers }, answer => {
    const pieces = []
    answer.on('data', piece => pieces.push(piece))
    answer.on('end', () => {
      JSON.parse(Buffer.concat(pieces).toString())
      callback(answer.statusCode < 300 ? null : new Error('not taken'))
    })
  })
  request.on('error', callback)
  request.end(body)
}

function documentOf (message, session) {
  return {
    from: message.from.text,
    to: session.envelope.rcptTo.map(one => one.address),
    subject: message.subject,
    text_body: message.text,
    html_body: message.html || undefined,
    headers: Object.fromEntries([...message.headers].filter(([name]) => name.startsWith('x-'))),
    attachments: message.attachments.map(one => ({
      filename: one.filename,
      content: one.content.toString('base64'),
      content_type: one.contentType
    }))
  }
}

const server = new SMTPServer({
  secure: true,
  key: fs.readFileSync(privateKey),
  cert: fs.readFileSync(certificate),
  authMethods: ['PLAIN'],
  disableReverseLookup: true,
  logger: false,
  onAuth (auth, session, callback) {
    callback(null, { user: auth.username })
  },
  onData (stream, session, callback) {
    // What the API has no field for is not made: mailparser would make HTML from text, and links from addresses
    simpleParser(stream, { skipTextToHtml: true, skipImageLinks: true, skipTextLinks: true })
      .then(message => post(documentOf(message, session), callback), callback)
  }
})
server.on('error', () => {})
server.listen(Number(port), '127.0.0.1')
