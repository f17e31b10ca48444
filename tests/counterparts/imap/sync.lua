-- Fetches all of INBOX with imapfilter, which is told port, user, password and folder by lines before. A file for each message.
options.timeout = 60
options.starttls = false
options.cache = false

local account = IMAP { server = '127.0.0.1', port = port, username = user, password = password }
for _, message in ipairs(account.INBOX:select_all()) do
    local mailbox, uid = table.unpack(message)
    local file = io.open(folder .. '/' .. uid, 'wb')
    file:write(mailbox[uid]:fetch_message())
    file:close()
end
