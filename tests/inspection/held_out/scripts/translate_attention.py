# Reverse-the-digits translation with Bahdanau attention and teacher forcing, after the PyTorch seq2seq tutorial
import random
import time

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch import optim
from torch.utils.data import DataLoader, RandomSampler, TensorDataset

SOS, EOS, MAX_LENGTH, WORDS = 0, 1, 8, 40
hidden_size = 40
batch_size = 30
n_epochs = 4
teacher_forcing_ratio = 0.5
device = torch.device("cuda" if torch.cuda.is_available() else "cpu")


class EncoderRNN(nn.Module):
    def __init__(self, input_size, hidden_size, dropout_p=0.1):
        super().__init__()
        self.embedding = nn.Embedding(input_size, hidden_size)
        self.gru = nn.GRU(hidden_size, hidden_size, batch_first=True)
        self.dropout = nn.Dropout(dropout_p)

    def forward(self, input):
        return self.gru(self.dropout(self.embedding(input)))


class BahdanauAttention(nn.Module):
    def __init__(self, hidden_size):
        super().__init__()
        self.Wa = nn.Linear(hidden_size, hidden_size)
        self.Ua = nn.Linear(hidden_size, hidden_size)
        self.Va = nn.Linear(hidden_size, 1)

    def forward(self, query, keys):
        scores = self.Va(torch.tanh(self.Wa(query) + self.Ua(keys))).squeeze(2).unsqueeze(1)
        weights = F.softmax(scores, dim=-1)
        return torch.bmm(weights, keys), weights


class AttnDecoderRNN(nn.Module):
    def __init__(self, hidden_size, output_size, dropout_p=0.1):
        super().__init__()
        self.embedding = nn.Embedding(output_size, hidden_size)
        self.attention = BahdanauAttention(hidden_size)
        self.gru = nn.GRU(2 * hidden_size, hidden_size, batch_first=True)
        self.out = nn.Linear(hidden_size, output_size)
        self.dropout = nn.Dropout(dropout_p)

    def forward(self, encoder_outputs, encoder_hidden, target):
        word = torch.full((encoder_outputs.size(0), 1), SOS, dtype=torch.long, device=device)
        hidden, outputs = encoder_hidden, []
        forced = random.random() < teacher_forcing_ratio
        for i in range(MAX_LENGTH):
            embedded = self.dropout(self.embedding(word))
            context, _ = self.attention(hidden.permute(1, 0, 2), encoder_outputs)
            step, hidden = self.gru(torch.cat((embedded, context), dim=2), hidden)
            step = self.out(step)
            outputs.append(step)
            word = target[:, i].unsqueeze(1) if forced else step.topk(1)[1].squeeze(-1).detach()
        return F.log_softmax(torch.cat(outputs, dim=1), dim=-1)


def get_dataloader(n_pairs):
    source = torch.randint(2, WORDS, (n_pairs, MAX_LENGTH))
    source[:, -1] = EOS
    target = torch.cat([source[:, :-1].flip(1), source[:, -1:]], dim=1)
    data = TensorDataset(source.to(device), target.to(device))
    return DataLoader(data, sampler=RandomSampler(data), batch_size=batch_size)


def train_epoch(dataloader, encoder, decoder, encoder_optimizer, decoder_optimizer, criterion):
    total_loss = 0
    for input_tensor, target_tensor in dataloader:
        encoder_optimizer.zero_grad()
        decoder_optimizer.zero_grad()
        encoder_outputs, encoder_hidden = encoder(input_tensor)
        out = decoder(encoder_outputs, encoder_hidden, target_tensor)
        loss = criterion(out.view(-1, out.size(-1)), target_tensor.view(-1))
        loss.backward()
        nn.utils.clip_grad_norm_([*encoder.parameters(), *decoder.parameters()], 5.0)
        encoder_optimizer.step()
        decoder_optimizer.step()
        total_loss += loss.item()
    return total_loss / len(dataloader)


start = time.time()
encoder = EncoderRNN(WORDS, hidden_size).to(device)
decoder = AttnDecoderRNN(hidden_size, WORDS).to(device)
pairs = get_dataloader(360)
enc_opt = optim.Adam(encoder.parameters(), lr=0.001)
dec_opt = optim.Adam(decoder.parameters(), lr=0.001)
for epoch in range(1, n_epochs + 1):
    loss = train_epoch(pairs, encoder, decoder, enc_opt, dec_opt, nn.NLLLoss())
    print(f"{time.time() - start:.1f}s ({epoch} {epoch / n_epochs:.0%}) {loss:.4f}")
